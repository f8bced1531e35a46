/** The module for `import`: the same plugin that `require` gives, under the same names. */
import fastifyProxWarc from './index.js'

export type * from '../types/warc.js'
export default fastifyProxWarc
export { fastifyProxWarc }
