"""The benchmark: what search, reading, extraction and growth cost, side by side with others and with the hardware."""
