/** Large bodies in tunnels. */
import { end, openTls } from '../client/connect.js'
import * as http1 from '../client/http1.js'
import { TUNNELLED } from './peers.js'

const transfer = {
  unit: '100 MB',
  options: { https: true },
  /** A round is long: one transfer of each contender. */
  rounds: 0.6,
  contenders: TUNNELLED.slice(0, 5),
  prepare: (contender) => contender,
  dispose () {}
}

/** Each transfer has a connection of its own: some peers do not keep one after it. */
async function repeat (exchange, contender, until) {
  let count = 0
  do {
    const socket = await openTls(contender)
    await exchange(socket)
    await end(socket)
    count++
  } while (performance.now() < until)
  return count
}

export const down = {
  ...transfer,
  name: 'down',
  title: '100 MB down in a tunnel',
  goal: 0.8,
  run: (contender, until) => repeat(http1.download, contender, until)
}

export const up = {
  ...transfer,
  name: 'up',
  title: '100 MB up in a tunnel',
  goal: 1.0,
  run: (contender, until) => repeat(http1.upload, contender, until)
}
