package doctor

import (
	"fmt"
	"math"
)

func judgeSocket(o Observations) []Finding {
	s := o.Socket
	if s == nil {
		return nil
	}
	opened := s.Opened.Outcome
	switch {
	case opened == OK && s.Echoed.Outcome == OK, s.Again != nil && s.Again.Outcome == OK:
		return judgeFrames(o, *s)
	case opened == Skipped || s.Again != nil && s.Again.Outcome == Skipped:
		return nil
	case s.Stripped:
		return []Finding{{ID: UpgradeStripped, Severity: Warning, What: "WebSockets do not get through: the request for one arrives as an ordinary one."}}
	case opened == Refused:
		return []Finding{{ID: UpgradeRefused, Severity: Warning, What: fmt.Sprintf("WebSockets do not get through: the request for one is answered with status %d.", s.Opened.Status)}}
	case opened == Late:
		return []Finding{{ID: UpgradeBlackHole, Severity: Problem, What: "A request for a WebSocket is never answered."}}
	case opened == Cut:
		return []Finding{{ID: UpgradeRefused, Severity: Warning, What: "WebSockets do not get through: the connection ends with the request for one."}}
	}
	return []Finding{{ID: UpgradeBlackHole, Severity: Problem, What: "WebSockets open, and then nothing comes through them."}}
}

// judgeFrames looks at WebSockets that open and take a first frame.
func judgeFrames(o Observations, s Socket) []Finding {
	var all []Finding
	idle, found := cutOf(s.Silences)
	lively := s.Lively
	if lively != nil && lively.Count > 0 && (lively.Outcome == Cut || lively.Outcome == Late) {
		at := lively.lived()
		same := found && math.Abs(math.Log(idle.at/at)) < math.Log(agree)
		switch {
		case same || !found && lively.Outcome == Cut:
			return []Finding{{
				ID: WebSocketLifetime, Severity: Warning, Value: at, Unit: "s", Low: at, High: at,
				What: fmt.Sprintf("WebSockets are cut after %s, whether frames flow or not.", times(at)),
			}}
		case lively.Outcome == Late:
			return []Finding{{
				ID: UpgradeBlackHole, Severity: Problem,
				What: fmt.Sprintf("WebSockets open, and after %d frames nothing comes through them any more.", lively.Count),
			}}
		}
	}
	if found {
		f := Finding{
			ID: WebSocketIdleCut, Severity: Warning, Value: idle.at, Unit: "s", Low: idle.low, High: idle.high,
			What: fmt.Sprintf("WebSockets are cut after %s without a frame%s.", times(idle.at), idle.how()),
		}
		o.weigh(&f)
		all = append(all, f)
	}
	if n := len(s.Frames); n > 1 && s.Frames[n-1].Outcome != OK && s.Frames[n-1].Outcome != Skipped {
		size := float64(s.Frames[0].Asked)
		all = append(all, Finding{
			ID: WebSocketFrameCap, Severity: Problem, Value: size, Unit: "B", High: size,
			What: fmt.Sprintf("A WebSocket that opens and takes small frames does not take one of %s.", sizes(size)),
		})
	}
	return all
}
