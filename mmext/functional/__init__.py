"""Pure tensor maths that two rooms use; imports no mm* package."""
