/**
 * Who trusts the certificates: programs with verifiers of their own, each of them strict, against authorities of ours
 * and of others. Every client also has to refuse what it must not trust, so that it cannot pass by not looking.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { certauthBundle, mitmproxyBundle, mkcertBundle } from './bundles'
import { KNOWS_IPV6 } from '../support/identity'
import { have } from './clients'
import { handshake, serve } from './loopback'

const run = promisify(execFile)

const HOSTS = [
  'www.example.com', 'a_b.example.com', `www.${'a'.repeat(63)}.example.com`, 'www.xn--bcher-kva.de', '127.0.0.1'
]
// Some containers have no IPv6, not even on loopback.
if (Object.values(networkInterfaces()).flat().some((network) => network?.address === '::1')) HOSTS.push('::1')

/** The names and addresses above, and nothing else. */
const PERMIT = ['example.com', 'xn--bcher-kva.de', '127.0.0.0/8', '::1']

const isAddress = (host: string) => host === '127.0.0.1' || host === '::1'

/** One server, and what a client has to think of it. */
interface Target {
  readonly label: string
  /** File with the CA that the client trusts. */
  readonly ca: string
  /** Whom the client wants to talk to. */
  readonly host: string
  readonly port: number
  /** File with the certificate that is served. */
  readonly leaf: string
  readonly trusted: boolean
}

async function setUp (t: Test, directory: string): Promise<Target[]> {
  const others = {
    certauth: certauthBundle(directory),
    mitmproxy: mitmproxyBundle(directory),
    mkcert: mkcertBundle(directory)
  }
  const authorities: Record<string, CertificateAuthority> = {
    ec: await CertificateAuthority.load({ file: join(directory, 'ec', 'ca.pem') }),
    rsa: await CertificateAuthority.load({ file: join(directory, 'rsa', 'ca.pem'), keyType: 'rsa' }),
    constrained: await CertificateAuthority.load({ file: join(directory, 'constrained', 'ca.pem'), permit: PERMIT }),
    'RSA leaves': await CertificateAuthority.load({ file: join(directory, 'leaves', 'ca.pem'), leafKeyType: 'rsa' })
  }
  for (const [name, { file }] of Object.entries(others)) authorities[name] = await CertificateAuthority.load({ file })

  const targets: Target[] = []
  const trustedFile = (name: string) => join(directory, `${name}-trusted.pem`)
  const add = async (name: string, authority: CertificateAuthority, served: string, changes: Partial<Target> = {}) => {
    const label = `${name}: ${changes.label ?? served}`
    const ca = trustedFile(name)
    const leaf = join(directory, `${name}-${targets.length}.pem`)
    writeFileSync(leaf, await authority.certificate(served))
    const port = await serve(
      t, async () => await authority.secureContext(served), served === '::1' ? '::1' : '127.0.0.1'
    )
    targets.push({ ca, host: served, port, leaf, trusted: true, ...changes, label })
  }
  for (const [name, authority] of Object.entries(authorities)) {
    writeFileSync(trustedFile(name), authority.certificatePem)
    for (const host of HOSTS) await add(name, authority, host)
  }
  const stranger = await CertificateAuthority.load({ store: new Map() })
  for (const name of ['ec', 'rsa']) {
    await add(name, stranger, 'www.example.com', { label: 'another CA of the same name', trusted: false })
    await add(
      name, authorities[name]!, 'www.example.com', { label: 'another host', host: 'www.example.org', trusted: false }
    )
    await add(
      name, authorities[name]!, '127.0.0.1', { label: 'an address for a name', host: 'www.example.com', trusted: false }
    )
  }
  return targets
}

const PYTHON = `
import json, socket, ssl, sys
for target in json.load(sys.stdin):
    context = ssl.create_default_context(cafile=target['ca'])
    # What Python 3.13 does by itself.
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        address = '::1' if target['host'] == '::1' else '127.0.0.1'
        with socket.create_connection((address, target['port'])) as raw:
            with context.wrap_socket(raw, server_hostname=target['host']) as s:
                s.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
                print('ok' if s.recv(12) == b'HTTP/1.1 200' else 'no answer')
    except ssl.SSLError as error:
        print(error)
`

const GO = `
package main

import ("bufio"; "crypto/tls"; "crypto/x509"; "encoding/json"; "fmt"; "net"; "os")

func main() {
  var targets []struct { CA, Host string; Port int }
  json.NewDecoder(os.Stdin).Decode(&targets)
  for _, target := range targets {
    pem, _ := os.ReadFile(target.CA)
    roots := x509.NewCertPool()
    roots.AppendCertsFromPEM(pem)
    address := "127.0.0.1"
    if target.Host == "::1" { address = "::1" }
    config := &tls.Config{RootCAs: roots, ServerName: target.Host}
    socket, err := tls.Dial("tcp", net.JoinHostPort(address, fmt.Sprint(target.Port)), config)
    if err != nil { fmt.Println(err); continue }
    fmt.Fprint(socket, "GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    status, _ := bufio.NewReader(socket).ReadString('\\r')
    if status == "HTTP/1.1 200 OK\\r" { status = "ok" }
    fmt.Println(status)
    socket.Close()
  }
}
`

const JAVA = `
import java.io.*; import java.net.*; import java.security.*; import java.security.cert.*; import java.util.*;
import javax.net.ssl.*;

class Probe {
  public static void main(String[] arguments) throws Exception {
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = lines.readLine()) != null;) {
      String[] target = line.split("\\t");
      KeyStore store = KeyStore.getInstance("PKCS12");
      store.load(null, null);
      try (InputStream pem = new FileInputStream(target[0])) {
        store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(pem));
      }
      TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
      trust.init(store);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(null, trust.getTrustManagers(), null);
      int port = Integer.parseInt(target[2]);
      try (Socket raw = new Socket(target[1].equals("::1") ? "::1" : "127.0.0.1", port);
           SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(raw, target[1], port, true)) {
        SSLParameters parameters = socket.getSSLParameters();
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        socket.setSSLParameters(parameters);
        socket.getOutputStream().write("GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".getBytes());
        String status = new String(socket.getInputStream().readNBytes(12));
        System.out.println(status.equals("HTTP/1.1 200") ? "ok" : status);
      } catch (SSLException error) {
        System.out.println(error.getMessage());
      }
    }
  }
}
`

/** A page that has loaded when every target has been tried, and then holds a verdict for each. */
function page (targets: Target[]): string {
  const scripts = targets.map(({ host, port }) => `<script src="https://${urlHost(
    host
  )}:${port}/" onload="verdict('ok')" onerror="verdict('refused')"></script>`)
  const head = "<!doctype html><script>const verdict = text => { document.body.append('[' + text + ']') }</script>"
  return `${head}<body>${scripts.join('\n')}`
}

const urlHost = (host: string) => host.includes(':') ? `[${host}]` : host

/** Runs a program that reads targets and writes a line for each. */
async function lines (program: string, args: string[], input: string): Promise<string[]> {
  const running = run(program, args)
  running.child.stdin!.end(input)
  return (await running).stdout.trimEnd().split('\n')
}

/** What a program says to a single target. */
async function verdict (program: string, args: string[]): Promise<string> {
  try {
    await run(program, args)
    return 'ok'
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string, stderr: string }
    return (stdout + stderr).trim().replace(/\s+/g, ' ')
  }
}

type Client = (targets: Target[], directory: string) => Promise<string[]>

async function each (targets: Target[], ask: (target: Target) => Promise<string>): Promise<string[]> {
  const verdicts: string[] = []
  for (const target of targets) verdicts.push(await ask(target))
  return verdicts
}

const CLIENTS: Record<string, { needs: string | null, client: Client, refuses?: RegExp }> = {
  'openssl verify': {
    needs: 'openssl',
    client: async (targets) => await each(targets, async ({ ca, host, leaf }) => await verdict('openssl', [
      'verify', '-x509_strict', '-purpose', 'sslserver', '-no-CApath', '-no-CAstore', '-CAfile', ca,
      isAddress(host) ? '-verify_ip' : '-verify_hostname', host, leaf
    ]))
  },
  'Python ssl': {
    needs: 'python3',
    client: async (targets) => await lines('python3', ['-c', PYTHON], JSON.stringify(targets))
  },
  Node: {
    needs: null,
    ...(!KNOWS_IPV6 && { refuses: /:/ }),
    client: async (targets) => await each(targets, async ({ ca, host, port }) => await handshake(port, {
      ca: readFileSync(ca),
      host: host === '::1' ? '::1' : '127.0.0.1',
      ...isAddress(host) ? {} : { servername: host }
    }).then(() => 'ok', (error: Error) => error.message))
  },
  curl: {
    needs: 'curl',
    client: async (targets) => {
      const args = targets.flatMap(({ ca, host, port }, i) => [
        ...i === 0 ? [] : ['--next'],
        '-sS', '--noproxy', '*', '--cacert', ca, '-o', '/dev/null', '-w', '%{http_code} %{errormsg}\n',
        ...isAddress(host) ? [] : ['--resolve', `${host}:${port}:127.0.0.1`],
        `https://${urlHost(host)}:${port}/`
      ])
      // Its exit code is that of the last one.
      const output = await run('curl', args).catch((error: { stdout: string }) => error)
      return output.stdout.trimEnd().split('\n').map((line) => line.startsWith('200 ') ? 'ok' : line)
    }
  },
  Go: {
    needs: 'go',
    client: async (targets, directory) => {
      writeFileSync(join(directory, 'probe.go'), GO)
      return await lines('go', ['run', join(directory, 'probe.go')], JSON.stringify(targets))
    }
  },
  'GnuTLS certtool': {
    needs: 'certtool',
    client: async (targets) => await each(targets, async ({ ca, host, leaf }) => await verdict('certtool', [
      '--verify', '--verify-profile', 'medium', '--verify-hostname', host, '--verify-purpose', '1.3.6.1.5.5.7.3.1',
      '--load-ca-certificate', ca, '--infile', leaf
    ]))
  },
  Chromium: {
    needs: 'chromium certutil',
    client: async (targets, directory) => {
      const database = `sql:${join(directory, '.pki', 'nssdb')}`
      mkdirSync(join(directory, '.pki', 'nssdb'), { recursive: true })
      await run('certutil', ['-N', '-d', database, '--empty-password'])
      for (const ca of new Set(targets.map(({ ca }) => ca))) {
        await run(
          'certutil', ['-A', '-d', database, '-n', ca, '-t', 'C,,', '-i', ca]
        )
      }
      writeFileSync(join(directory, 'page.html'), page(targets))
      const { stdout } = await run('chromium', [
        '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server',
        '--host-resolver-rules=MAP *.com 127.0.0.1, MAP *.org 127.0.0.1, MAP *.de 127.0.0.1',
        // Without it a page asks the user before it talks to loopback.
        '--disable-features=LocalNetworkAccessChecks',
        `--user-data-dir=${join(directory, 'profile')}`, '--dump-dom', `file://${join(directory, 'page.html')}`
      ], { env: { ...process.env, HOME: directory } })
      return [...stdout.matchAll(/\[(ok|refused)\]/g)].map(([, text]) => text!)
    }
  },
  Java: {
    needs: 'javac',
    // It takes no underscore in a host, whatever the certificate says.
    refuses: /a_b/,
    client: async (targets, directory) => {
      writeFileSync(join(directory, 'Probe.java'), JAVA)
      return await lines(
        'java', ['-XX:TieredStopAtLevel=1', join(directory, 'Probe.java')],
        targets.map(({ ca, host, port }) => `${ca}\t${host}\t${port}\n`).join('')
      )
    }
  }
}

t.test('every client accepts what it trusts, and refuses the rest', async (t) => {
  const directory = t.testdir()
  const targets = await setUp(t, directory)
  for (const [name, { needs, client, refuses }] of Object.entries(CLIENTS)) {
    await t.test(name, { skip: needs !== null && have(needs) }, async (t) => {
      const verdicts = await client(targets, directory)
      t.equal(verdicts.length, targets.length)
      for (const [i, { label, host, trusted }] of targets.entries()) {
        if (trusted && !refuses?.test(host)) t.equal(verdicts[i], 'ok', label)
        else t.not(verdicts[i], 'ok', `${label} is refused: ${verdicts[i]}`)
      }
    })
  }
})
