"""What a process needs: tasks and child processes, sockets, certificates, logs, retries."""
