"""The operator's side: the command line that works on a deployed stack with the operator's own AWS rights.

Nothing here runs in the deployment, and nothing here needs a door into its network.
"""
