"""What a bundle holds beside its models: golden vectors, C array, report and page."""
