"""Pure maths on tensors and arrays; imports no mm* package."""
