from batch_scorer.cli import main

main()
