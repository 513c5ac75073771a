"""Reports: results of a sweep as read from disk, sentences, formatting, figures and pictures."""
