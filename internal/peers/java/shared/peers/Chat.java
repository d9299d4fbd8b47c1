package peers;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.cometd.annotation.Listener;
import org.cometd.annotation.Service;
import org.cometd.annotation.server.RemoteCall;
import org.cometd.annotation.server.ServerAnnotationProcessor;
import org.cometd.bayeux.ChannelId;
import org.cometd.bayeux.Promise;
import org.cometd.bayeux.server.Authorizer;
import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.bayeux.server.ConfigurableServerChannel;
import org.cometd.bayeux.server.ServerChannel;
import org.cometd.bayeux.server.ServerMessage;
import org.cometd.bayeux.server.ServerSession;
import org.cometd.server.authorizer.GrantAuthorizer;
import org.cometd.server.filter.DataFilter;
import org.cometd.server.filter.DataFilterMessageListener;
import org.cometd.server.filter.JSONDataFilter;
import org.cometd.server.filter.NoMarkupFilter;

/** A chat with rooms, their members and private messages, and an echo. docs/FIXTURES.md has its wire. */
@Service("chat")
public final class Chat {
    private static final String ROOM = "/chat/";

    private final BayeuxServer bayeux;
    /** By room, the session id of each name, in the order of joining. Guarded by this object. */
    private final Map<String, Map<String, String>> rooms = new HashMap<>();

    private Chat(BayeuxServer bayeux) {
        this.bayeux = bayeux;
    }

    static void into(BayeuxServer bayeux) {
        Chat chat = new Chat(bayeux);
        ConfigurableServerChannel.Initializer filters = channel ->
            channel.addListener(new DataFilterMessageListener(new NoMarkupFilter(), new NoSwearing()));
        allow(bayeux, "/**", GrantAuthorizer.GRANT_NONE);
        allow(bayeux, "/chat/*", chat.new MembersPublish());
        allow(bayeux, "/members/*", GrantAuthorizer.GRANT_CREATE_SUBSCRIBE);
        for (String service : List.of("/service/members", "/service/privatechat", "/service/echo")) {
            allow(bayeux, service, GrantAuthorizer.GRANT_PUBLISH);
        }
        for (String filtered : List.of("/chat/*", "/service/members", "/service/privatechat")) {
            filters.configureChannel(bayeux.getChannel(filtered));
        }
        new ServerAnnotationProcessor(bayeux).process(chat);
    }

    private static void allow(BayeuxServer bayeux, String name, Authorizer authorizer) {
        Fixtures.create(bayeux, name, channel -> channel.addAuthorizer(authorizer));
    }

    @Listener("/service/members")
    public boolean join(ServerSession session, ServerMessage message) {
        String room = roomOf(message);
        String name = text(message, "user");
        if (room == null || name == null) {
            return false;
        }
        if (!enter(room, name, session.getId())) {
            session.deliver(null, "/service/members", Map.of("room", ROOM + room, "user", name, "refused", "name_taken"), Promise.noop());
            return true;
        }
        session.addListener((ServerSession.RemovedListener)(gone, last, expired) -> leave(room, gone.getId()));
        announce(room);
        return true;
    }

    @Listener("/service/privatechat")
    public boolean whisper(ServerSession session, ServerMessage message) {
        String room = roomOf(message);
        String text = text(message, "chat");
        String peers = text(message, "peer");
        String name = room == null ? null : nameIn(room, session);
        if (name == null || text == null || peers == null) {
            return false;
        }
        Map<String, Object> whispered = new LinkedHashMap<>();
        whispered.put("user", name);
        whispered.put("chat", text);
        whispered.put("scope", "private");
        for (ServerSession receiver : receivers(room, peers, session)) {
            receiver.deliver(null, ROOM + room, whispered, Promise.noop());
        }
        return true;
    }

    @RemoteCall("echo")
    public void echo(RemoteCall.Caller caller, Object data) {
        if ("".equals(data)) {
            caller.failure(Map.of("reason", "nothing_to_echo"));
        } else {
            caller.result(data);
        }
    }

    /** The named members and the sender, each once; nobody if none of the names is a member. */
    private synchronized Set<ServerSession> receivers(String room, String names, ServerSession sender) {
        Set<ServerSession> receivers = new LinkedHashSet<>();
        for (String name : names.split(",")) {
            String id = rooms.getOrDefault(room, Map.of()).get(name);
            ServerSession member = id == null ? null : bayeux.getSession(id);
            if (member != null) {
                receivers.add(member);
            }
        }
        if (!receivers.isEmpty()) {
            receivers.add(sender);
        }
        return receivers;
    }

    private synchronized boolean enter(String room, String name, String id) {
        String there = rooms.computeIfAbsent(room, key -> new LinkedHashMap<>()).putIfAbsent(name, id);
        return there == null || there.equals(id);
    }

    private void leave(String room, String id) {
        boolean left;
        synchronized (this) {
            left = rooms.get(room).values().removeIf(id::equals);
        }
        if (left) {
            announce(room);
        }
    }

    private synchronized String nameIn(String room, ServerSession session) {
        for (Map.Entry<String, String> member : rooms.getOrDefault(room, Map.of()).entrySet()) {
            if (member.getValue().equals(session.getId())) {
                return member.getKey();
            }
        }
        return null;
    }

    /** Publishes the names in a room. */
    private void announce(String room) {
        List<String> names;
        synchronized (this) {
            names = new ArrayList<>(rooms.get(room).keySet());
        }
        ServerChannel channel = bayeux.createChannelIfAbsent("/members/" + room).getReference();
        channel.publish(null, names, Promise.noop());
    }

    /** The room of a message without its prefix, null if it names none. */
    private static String roomOf(ServerMessage message) {
        String room = text(message, "room");
        return room != null && room.matches(ROOM + "[A-Za-z0-9_-]+") ? room.substring(ROOM.length()) : null;
    }

    private static String text(ServerMessage message, String field) {
        return message.getData() instanceof Map<?, ?> data && data.get(field) instanceof String text && !text.isEmpty() ? text : null;
    }

    /** Everybody may come and listen; only members of a room may speak in it. */
    private final class MembersPublish implements Authorizer {
        @Override
        public Result authorize(Operation operation, ChannelId channel, ServerSession session, ServerMessage message) {
            boolean speaks = operation == Operation.PUBLISH;
            return speaks && nameIn(channel.getId().substring(ROOM.length()), session) == null ? Result.deny("not_a_member") : Result.grant();
        }
    }

    /** Deletes messages that contain a bad word. */
    private static final class NoSwearing extends JSONDataFilter {
        @Override
        protected Object filterString(ServerSession session, ServerChannel channel, String string) {
            if (string.contains("dang")) {
                throw new DataFilter.AbortException();
            }
            return string;
        }
    }
}
