"""Agents that were trained elsewhere, made into agents that misgen can ask.

- `adapt` takes a function, a torch module, a model of stable-baselines3, an object with a memory or
  an `Agent`, and returns an `Agent`;
- `sb3` reads models of stable-baselines3 and sb3-contrib;
- `source` makes an agent by `module:function`, and says when that may run code;
- `trial` asks an agent about a few levels: does it keep their rows apart, does it repeat itself;
- `identity` tells agents apart: by their weights, or by what they answer;
- `record` is what a run's folder keeps of one, in place of a policy of misgen's own;
- `playing` has the agent of a record: at hand, or made again where that is trusted.
"""
