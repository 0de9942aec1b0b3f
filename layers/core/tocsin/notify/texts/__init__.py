"""The words of a notification, per language: templates, formatting, and the words of consent."""
