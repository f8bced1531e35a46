/** The store of the CA, a key in Redis: for the processes, and for `fastify-prox ca rotate announce --store`. */
import { Redis } from 'ioredis'

const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379')
redis.on('error', (err) => console.error(`Redis: ${err.message}`))

export default {
  get: (key) => redis.get(key),
  // Of processes that start together, one makes the CA.
  add: (key, pem) => redis.set(key, pem, 'NX'),
  set: (key, pem) => redis.set(key, pem)
}

export const close = () => redis.quit()
