// What of docs/FIXTURES.md the public API of cometd-nodejs-server can do.
const base = '/fixture/'
const services = '/service/fixture/'
const mostMillis = 60_000
const mostMessages = 1000
const mostAtHandshake = 100

export function install(bayeux) {
  bayeux.policy = policy()
  bayeux.addExtension(extension())
  keep(bayeux, 'persistent')
  keep(bayeux, 'veto', false)
  keep(bayeux, 'denied/subscribe')
  keep(bayeux, 'denied/publish')
  for (const name of ['delete', 'noreply']) keep(bayeux, `extension/${name}`)
  serve(bayeux)
}

/** Makes a channel that is not swept, for it has a listener; verdict false refuses what is published. */
function keep(bayeux, name, verdict = true) {
  bayeux.createServerChannel(base + name).addListener('message', (session, channel, message, done) => done(undefined, verdict))
}

function policy() {
  return {
    canHandshake(session, message, done) {
      const wish = message.ext?.fixture ?? {}
      if (wish.deny === true) {
        if (typeof wish.reconnect === 'string') {
          message.reply.advice = { reconnect: wish.reconnect }
          message.reply.ext = { fixture: 'denied' }
        }
        return done(undefined, false)
      }
      for (let i = 1; i <= Math.min(Number(wish.deliver) || 0, mostAtHandshake); i++) {
        session.deliver(null, `${base}handshake`, i)
      }
      done(undefined, true)
    },
    canCreate: (session, message, channel, done) => done(undefined, !`${channel}/`.startsWith(`${base}denied/create/`)),
    canSubscribe: (session, message, channel, done) => done(undefined, channel.name !== `${base}denied/subscribe`),
    canPublish: (session, message, channel, done) => done(undefined, channel.name !== `${base}denied/publish`),
  }
}

function extension() {
  return {
    incoming: (server, session, message, done) => done(undefined, message.channel !== `${base}extension/delete`),
    outgoing(server, sender, session, message, done) {
      done(undefined, !(message.channel === `${base}extension/noreply` && message.successful !== undefined))
    },
  }
}

function serve(bayeux) {
  const listenTo = (name, listener) => bayeux.createServerChannel(services + name).addListener('message', listener)
  listenTo('echo', (session, channel, message, done) => {
    session.deliver(null, message.channel, message.data)
    done()
  })
  const actions = {
    deliver: (session, data) => each(data, (content) => session.deliver(null, data.channel, content)),
    publish: (session, data) => each(data, (content) => bayeux.createServerChannel(data.channel).publish(null, content)),
    disconnect: (session) => session.disconnect(),
  }
  for (const [name, act] of Object.entries(actions)) {
    listenTo(name, (sender, channel, message, done) => {
      const data = Object(message.data)
      const session = data.session === undefined ? sender : bayeux.getServerSession(data.session)
      if (!session) return done(undefined, false)
      if (data.delayMs > 0) {
        setTimeout(() => act(session, data), Math.min(data.delayMs, mostMillis))
        return done()
      }
      try {
        act(session, data)
        done()
      } catch {
        done(undefined, false)
      }
    })
  }
}

function each(data, send) {
  if (!String(data.channel).startsWith('/')) throw new Error('no channel')
  if (data.count === undefined) return send(data.data)
  for (let i = 1; i <= Math.min(data.count, mostMessages); i++) send(i)
}
