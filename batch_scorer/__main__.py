from batch_scorer.cli.main import main

main()
