/** A conversation on a socket, which the contender may also break off. */

/**
 * @template T
 * @param {import('node:net').Socket} socket
 * @param {(resolve: (value: T) => void, reject: (err: Error) => void) => Record<string, Function>} listen returns
 * what listens to the socket until the promise is settled
 * @param {() => void} begin
 * @returns {Promise<T>}
 */
export async function converse (socket, listen, begin) {
  if (socket.destroyed) throw new Error('closed by the contender')
  let listeners
  try {
    return await new Promise((resolve, reject) => {
      listeners = {
        error: reject,
        close: () => reject(new Error('closed by the contender')),
        ...listen(resolve, reject)
      }
      for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener)
      begin()
    })
  } finally {
    for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener)
  }
}
