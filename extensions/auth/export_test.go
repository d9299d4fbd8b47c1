package auth

// Sizes are those of the indexes by id, user and token, and of the schedules.
func Sizes(x *Extension) [4]int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return [4]int{len(x.sessions.byID), len(x.sessions.byUser), len(x.sessions.byToken), len(x.expiries.queue) + len(x.warnings.queue)}
}
