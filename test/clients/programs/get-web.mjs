/** Gets every URL of the command line with fetch, or says hello to its WebSocket, and prints what it got. */
const { Bun, Deno } = globalThis
const urls = Deno === undefined ? process.argv.slice(2) : Deno.args
// Bun's WebSocket reads no variables.
const options = Bun && {
  proxy: process.env.HTTP_PROXY,
  tls: { ca: Bun.file(process.env.NODE_EXTRA_CA_CERTS) }
}

for (const url of urls) {
  if (url.startsWith('ws')) {
    console.log(await new Promise((resolve, reject) => {
      const socket = new WebSocket(url, options)
      socket.onopen = () => socket.send('hello')
      socket.onmessage = ({ data }) => {
        resolve(data)
        socket.close()
      }
      socket.onerror = ({ message }) => reject(new Error(`${url}: ${message}`))
    }))
  } else {
    const response = await fetch(url)
    if (!response.ok) throw new Error(`${url}: ${response.status}`)
    console.log(await response.text())
  }
}
