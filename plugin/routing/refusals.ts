/** Has the log tell shortly of what the plugin refuses: that is the mistake of a client, not of the application. */
import type { FastifyReply } from 'fastify'
import { ChallengeError } from '../http/credentials'

/** Makes the line of a refusal short, before the error handler writes it; other errors are left as they are. */
export function quietRefusal (err: Error & { code?: unknown, statusCode?: number }, reply: FastifyReply): void {
  const { code, statusCode = 500 } = err
  if (typeof code !== 'string' || !code.startsWith('FST_PROX_') || statusCode >= 500) return
  // The frames would be those of this package, whatever the client has done.
  err.stack = `${err.name}: ${err.message}`
  // The first step of every client that has credentials: it sends them when it is asked to.
  if (err instanceof ChallengeError) reply.log = lowered(reply.log, err)
}

/** A logger that writes the lines of level info about an error at level debug, and everything else as it is. */
function lowered (log: FastifyReply['log'], about: Error): FastifyReply['log'] {
  const info = (...args: [fields: { err?: unknown }]): void => {
    const { err } = Object(args[0]) as { err?: unknown }
    log[err === about ? 'debug' : 'info'](...args)
  }
  return new Proxy(log, {
    get (target, name) {
      if (name === 'info') return info
      const value: unknown = Reflect.get(target, name)
      // A logger may have private fields, which a proxy does not have.
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}
