"""What reports and pictures are made of: shapes, figures, sweeps as read from disk, wording."""
