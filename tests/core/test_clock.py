from menwei.clock import TrustedClock


class Machine:
    """A machine's clock and monotonic clock, set by hand."""

    def __init__(self, wall: float) -> None:
        self.wall = wall
        self.mono = 100.0

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds

    def clock(self, floor: float = 0.0) -> TrustedClock:
        return TrustedClock(floor, wall=lambda: self.wall, monotonic=lambda: self.mono)


def test_an_honest_clock_is_followed():
    machine = Machine(1000.0)
    clock = machine.clock()
    machine.pass_time(5)
    assert clock.now() == 1005.0
    assert clock.behind == 0.0


def test_a_clock_set_back_goes_on_by_the_monotonic_clock():
    machine = Machine(1000.0)
    clock = machine.clock()
    machine.pass_time(10)
    machine.wall -= 3600
    assert clock.now() == 1010.0
    machine.pass_time(5)
    assert clock.now() == 1015.0
    assert clock.behind == 3600.0


def test_a_machine_that_boots_before_the_last_entry_goes_on_from_that_entry():
    machine = Machine(0.0)
    clock = machine.clock(floor=5000.0)
    machine.pass_time(7)
    assert clock.now() == 5007.0


def test_a_clock_that_is_set_right_again_is_followed_again():
    machine = Machine(0.0)
    clock = machine.clock(floor=5000.0)
    machine.pass_time(7)
    clock.now()
    machine.wall = 6000.0
    assert clock.now() == 6000.0
    assert clock.behind == 0.0


def test_a_small_step_back_is_followed():
    machine = Machine(1000.0)
    clock = machine.clock()
    machine.wall -= 1.5
    assert clock.now() == 998.5


def test_small_steps_back_do_not_add_up_to_a_large_one_unseen_within_a_moment():
    machine = Machine(1000.0)
    clock = machine.clock()
    clock.now()
    machine.wall -= 1.5
    clock.now()
    machine.wall -= 1.5
    assert clock.now() >= 996.9


def test_an_accepted_clock_may_be_earlier():
    machine = Machine(1000.0)
    clock = machine.clock(floor=9000.0)
    clock.accept()
    assert clock.now() == 1000.0


def test_a_leap_ahead_is_followed_and_is_not_taken_for_steady_time():
    machine = Machine(1000.0)
    clock = machine.clock()
    machine.pass_time(50)
    assert clock.steady == 50.0
    machine.wall += 4 * 86_400
    assert clock.now() == 1050.0 + 4 * 86_400
    machine.pass_time(7)
    assert clock.steady == 7.0


def test_time_stays_steady_over_what_a_person_or_the_network_corrects():
    machine = Machine(1000.0)
    clock = machine.clock()
    machine.pass_time(50)
    machine.wall += 3600
    clock.now()
    machine.wall -= 3600
    assert clock.steady == 50.0


def test_what_the_machine_says_can_be_read_beside_what_is_trusted():
    machine = Machine(1000.0)
    clock = machine.clock(floor=9000.0)
    assert (clock.machine, clock.now()) == (1000.0, 9000.0)
