"""What captions and retrieved objects are worth: BLEU, CIDEr-D, ROUGE-L, CHAIR, recall at k."""
