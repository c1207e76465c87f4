"""Services of the process: tasks, child processes, sockets, certificates, logs, retries."""
