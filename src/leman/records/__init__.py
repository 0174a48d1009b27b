"""Records: publish a signed, preserved result that anyone can check."""
