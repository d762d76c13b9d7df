"""A local page on which one drops a picture and sees what a model finds in it."""
