"""The engine's views: gymnasium's vector and single environments, and stable-baselines3's."""
