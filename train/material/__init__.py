"""What joins the labelled reviews in fine-tuning: soft labels, rewritten reviews, crops, sentences made by grammar."""
