"""What a network costs: parameters, connections, memory, training; proved against the module."""
