package peers;

import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

import org.cometd.annotation.Service;
import org.cometd.annotation.server.RemoteCall;

/** Targets of remote calls, one for each way in which a call can end. */
@Service
public final class FixtureCalls {
    private static final long LATE_MILLIS = 500;

    @RemoteCall("fixture/call/result")
    public void result(RemoteCall.Caller caller, Object data) {
        caller.result(data);
    }

    @RemoteCall("fixture/call/failure")
    public void failure(RemoteCall.Caller caller, Object data) {
        caller.failure(Map.of("code", 42, "reason", "fixture_failure"));
    }

    @RemoteCall("fixture/call/exception")
    public void exception(RemoteCall.Caller caller, Object data) {
        throw new IllegalStateException("fixture_exception");
    }

    @RemoteCall("fixture/call/late")
    public void late(RemoteCall.Caller caller, Object data) {
        CompletableFuture.delayedExecutor(LATE_MILLIS, TimeUnit.MILLISECONDS).execute(() -> caller.result(data));
    }

    @RemoteCall("fixture/call/twice")
    public void twice(RemoteCall.Caller caller, Object data) {
        caller.result(data);
        caller.failure("the second answer");
    }
}
