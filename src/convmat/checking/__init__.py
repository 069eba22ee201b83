"""Every method against PyTorch: error, time, memory."""
