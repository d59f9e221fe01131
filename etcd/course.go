package etcd

// Course is how a join goes on.
type Course int

// The courses of a join. The last two are to be refused.
const (
	CourseAdd     Course = iota // etcd does not know the member yet
	CourseBegin                 // it was added and has not started
	CourseReplace               // it ran once and has lost its data
	CourseResume                // it has started, and its data is here
	CourseForeign               // the data here is not that of the member
	CourseTaken                 // it is alive, and its data is not here
)

// Course compares the member that has the peer URL of a machine, nil if none,
// with the data on that machine, nil if none.
func (r Report) Course(own *Member, data *Owner) Course {
	switch {
	case data != nil && (own == nil || data.Member != own.ID):
		return CourseForeign
	case own == nil:
		return CourseAdd
	case !own.Started():
		return CourseBegin
	case data != nil:
		return CourseResume
	case r.Answers(own.ID):
		return CourseTaken
	}
	return CourseReplace
}
