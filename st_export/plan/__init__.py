"""What to read: windows, paging, watermarks, estimates. Pure arithmetic, no I/O."""
