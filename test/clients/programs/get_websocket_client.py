"""Says hello to the WebSocket of every URL of the command line, and prints what it got."""
import sys
import websocket

for url in sys.argv[1:]:
    socket = websocket.create_connection(url, timeout=20)
    socket.send('hello')
    print(socket.recv())
    socket.close()
