"""A function of AWS Lambda: its versions, its alias, and the traffic between two versions."""
