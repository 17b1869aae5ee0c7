"""The result folder: the document, its schema, its validity, its check."""
