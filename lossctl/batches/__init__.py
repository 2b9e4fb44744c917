"""Many files of predictions against one target: a leaderboard."""
