"""What goal is inherited from someone else's agent, by fine-tuning and by distillation?"""
