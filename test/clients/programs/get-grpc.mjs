/** Calls the method that every URL of the command line names with grpc-js, and prints what it got. */
import { Client, credentials } from '@grpc/grpc-js'

const asIs = (value) => value
let client
for (const url of process.argv.slice(2)) {
  const { hostname, pathname } = new URL(url)
  client ??= new Client(hostname, credentials.createSsl())
  const message = await new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + 20_000 }
    client.makeUnaryRequest(pathname, asIs, asIs, Buffer.from('hello'), options, (err, answer) => {
      if (err) reject(err)
      else resolve(answer)
    })
  })
  console.log(message.toString())
}
client.close()
