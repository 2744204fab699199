"""Floor 2: symbolic probability, without torch: terms, rules, printing, exact evaluation."""
