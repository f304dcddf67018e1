"""``push codedeploy local`` and ``push codedeploy validate``: a bundle on this machine, without agent and AWS."""
