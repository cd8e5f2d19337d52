"""How good a result probably is: learned on spoiled validation cases, told with every result."""
