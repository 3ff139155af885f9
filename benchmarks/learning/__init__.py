"""Does it learn? Named worlds that each ask for one skill, played through the shipped plane and auditor."""
