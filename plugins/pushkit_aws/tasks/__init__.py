"""A service of ECS: its task definition, which CodeDeploy deploys."""
