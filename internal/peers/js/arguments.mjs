import http from 'node:http'

/** Reads PORT [name=value ...]; values that look like numbers and booleans become such. */
export function readArguments([port, ...pairs]) {
  if (!/^\d+$/.test(port ?? '')) throw new Error('usage: PORT [name=value ...]; port 0 is any free one')
  const options = {}
  for (const pair of pairs) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(pair) ?? []
    if (name === undefined) throw new Error(`${pair} is not name=value`)
    options[name] = /^(true|false|-?\d+)$/.test(value) ? JSON.parse(value) : value
  }
  return { port: Number(port), options }
}

/** Removes an option of ours and returns its value. */
export function take(options, name, standard) {
  const value = options[name] ?? standard
  delete options[name]
  return value
}

/** Listens on the loopback interface, says where, and stops at SIGTERM and SIGINT. */
export function listen(server, port, path) {
  server.timeout = 0
  server.requestTimeout = 0
  server.keepAliveTimeout = 120_000
  server.listen({ port, host: '127.0.0.1', backlog: 4096 }, () => {
    console.log(`listening http://127.0.0.1:${server.address().port}${path}`)
  })
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(0))
}

/** A server without a handler. */
export const newServer = () => http.createServer()
