"""PPO on tiles on a CPU, with every gradient in closed form.  See `ppo`, where the maths stands.

- `ppo` (torch): `FusedPPO`, stable-baselines3's `PPO` with another way to its numbers;
- `network`: `Network`, the passes forward and backward over a policy's own weights;
- `patterns`: `PatternLayer`, the first layer on one-hot tiles, by the patterns that groups of
  cells show;
- `convolution`: `TileConvolution`, the first convolution on one-hot tiles; `Convolution`, the next;
- `loss`: `loss_gradient`, PPO's loss and what it tells the network's outputs.
"""
