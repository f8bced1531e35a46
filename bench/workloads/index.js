/** All workloads, in the order in which they run. */
import { forwardDown, forwardKeepAlive, forwardUp } from './forward.js'
import { memory, processMemory } from './memory.js'
import { mint, mintCrowd } from './mint.js'
import { passDown, passKeepAlive, passUp } from './pass.js'
import { record, recordMemory } from './record.js'
import { absoluteForm, http2KeepAlive, keepAlive, notProxied, webSocketEcho } from './requests.js'
import { scaleProcesses, scaleTunnels } from './scale.js'
import { down, up } from './transfers.js'
import { coldHosts, newTunnels, resumedTunnels } from './tunnels.js'

export const workloads = [
  keepAlive, http2KeepAlive, newTunnels, resumedTunnels, coldHosts, absoluteForm, notProxied, webSocketEcho, down, up,
  forwardKeepAlive, forwardDown, forwardUp, passKeepAlive, passDown, passUp, record, recordMemory,
  memory, processMemory, mint, mintCrowd, scaleProcesses, scaleTunnels
]
