"""When does an agent come to go for the goal, and could it have been told before?"""
