"""The files that public sets of landmarks come in, read into one form."""
