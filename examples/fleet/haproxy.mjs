/** The configuration of HAProxy. */

/**
 * @param {number} port where clients come to
 * @param {number[]} ports where the processes listen
 */
export function configuration (port, ports) {
  return `global
  maxconn 4000

defaults
  mode tcp
  timeout connect 5s
  # Silence is what the plugin ends tunnels for (timeouts.idle, timeouts.passIdle).
  timeout client 1h
  timeout server 1h
  # A process that has just ended refuses: another one is tried at once.
  retries 3
  option redispatch 1

frontend proxy
  bind 127.0.0.1:${port}
  default_backend fleet

backend fleet
  balance roundrobin
  option httpchk GET /health
  # send-proxy-v2: who the client is. check-send-proxy: as the plugin expects the header of every connection.
  default-server send-proxy-v2 check check-send-proxy inter 200ms fall 1 rise 1
${ports.map((each, i) => `  server process${i + 1} 127.0.0.1:${each}`).join('\n')}
`
}
