"""What a training does whatever it trains: its options, its checks before the first step, its log, its card."""
